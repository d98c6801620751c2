"""A worker without a queue: tasks are calls, sub-tasks are calls too, and a fan-in is a `gather`."""

import restate_sdk
from gen.async_task.v1.reports_pb import CreateRequest, RenderRequest, Report, Section
from gen.async_task.v1.reports_restate import ReportsClient, ReportsContext, ReportsHandlers
from renderer import render


class Reports(ReportsHandlers):
    async def create(self, ctx: ReportsContext, request: CreateRequest) -> Report:
        # Each section is an invocation of its own. They run at the same time, on any endpoint that serves them.
        sections = await restate_sdk.gather(
            *(
                ReportsClient(ctx).render(RenderRequest(report_id=request.report_id, section=section))
                for section in request.sections
            )
        )
        return Report(text="\n".join(section.text for section in sections))

    async def render(self, ctx: ReportsContext, request: RenderRequest) -> Section:
        text = await ctx.run("render", render, request.report_id, request.section)
        return Section(text=text)


app = restate_sdk.Endpoint(Reports())

if __name__ == "__main__":
    app.serve()
