"""A workflow that waits for a person: it mails a secret and waits, for days if need be, until the link is clicked."""

import secrets

import restate_sdk
from gen.verification.v1.verification_pb import ClickRequest, ClickResponse, VerifyRequest, VerifyResponse
from gen.verification.v1.verification_restate import (
    VerificationContext,
    VerificationHandlers,
    VerificationSharedContext,
)
from mail import send_email


class Verification(VerificationHandlers):
    async def run(self, ctx: VerificationContext, request: VerifyRequest) -> VerifyResponse:
        # A step, so that every attempt has the same secret. `ctx.random` can be foretold: it is not for secrets.
        secret = await ctx.run("generate secret", secrets.token_urlsafe)
        await ctx.run("send email", send_email, ctx.key, request.email, secret)

        clicked = await ctx.promises.email_clicked
        return VerifyResponse(verified=clicked == secret)

    async def click(self, ctx: VerificationSharedContext, request: ClickRequest) -> ClickResponse:
        await ctx.promises.email_clicked.resolve(request.secret)
        return ClickResponse()


app = restate_sdk.Endpoint(Verification())

if __name__ == "__main__":
    app.serve()
