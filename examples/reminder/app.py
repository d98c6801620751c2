"""A plain service that waits: a step, a durable sleep, a step. Neither wait nor steps are lost in a crash."""

import restate_sdk
from gen.reminder.v1.reminder_pb import RemindRequest, RemindResponse
from gen.reminder.v1.reminder_restate import ReminderContext, ReminderHandlers
from post import deliver, note
from protobuf.wkt import Duration


class Reminder(ReminderHandlers):
    async def remind(self, ctx: ReminderContext, request: RemindRequest) -> RemindResponse:
        await ctx.run("note", note, request.id, request.text)

        # May last for months; costs no memory meanwhile.
        await ctx.sleep((request.after or Duration()).to_timedelta(), name="until it is due")

        message = await ctx.run("deliver", deliver, request.id, request.text)
        return RemindResponse(message=message)


app = restate_sdk.Endpoint(Reminder())

if __name__ == "__main__":
    app.serve()
