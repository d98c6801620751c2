"""Plays both streams for one user: `python client.py ada 'Ada Lovelace' maths music`."""

import asyncio
import os
import sys

import restate_client
from gen.event_enricher.v1.enricher_pb import FeatureEventRequest, UserEventRequest
from gen.event_enricher.v1.enricher_restate import EnricherClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(user_id: str, name: str, *features: str) -> None:
    async with restate_client.connect(INGRESS) as restate:
        enricher = EnricherClient(restate)
        await enricher.user_event.send(UserEventRequest(user_id=user_id, name=name))
        for feature in features:
            await enricher.feature_event.send(FeatureEventRequest(user_id=user_id, feature=feature))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
