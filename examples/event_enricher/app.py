"""A virtual object that joins streams: it collects what comes in a time box, then emits one event."""

import os
from datetime import timedelta

import restate_sdk
from gen.event_enricher.v1.enricher_pb import (
    EmitRequest,
    EmitResponse,
    FeatureEventRequest,
    FeatureEventResponse,
    UserEventRequest,
    UserEventResponse,
)
from gen.event_enricher.v1.enricher_restate import EnricherClient, EnricherContext, EnricherHandlers
from stream import emit

TIME_BOX = timedelta(milliseconds=float(os.environ.get("TIME_BOX_MS", "100")))


class Enricher(EnricherHandlers):
    async def user_event(self, ctx: EnricherContext, request: UserEventRequest) -> UserEventResponse:
        if not await ctx.state.name.get():
            # A message to itself, later. It is in the journal, not in this process: no timer to lose.
            await EnricherClient(ctx).emit.send(EmitRequest(user_id=ctx.key), delay=TIME_BOX)
        ctx.state.name.set(request.name)
        return UserEventResponse()

    async def feature_event(self, ctx: EnricherContext, request: FeatureEventRequest) -> FeatureEventResponse:
        features = await ctx.state.features.get()
        ctx.state.features.set([*features, request.feature])
        return FeatureEventResponse()

    async def emit(self, ctx: EnricherContext, request: EmitRequest) -> EmitResponse:
        name = await ctx.state.name.get()
        features = await ctx.state.features.get()
        await ctx.run("emit", emit, ctx.invocation_id, ctx.key, name, list(features))
        ctx.clear_state()
        return EmitResponse()


app = restate_sdk.Endpoint(Enricher())

if __name__ == "__main__":
    app.serve()
