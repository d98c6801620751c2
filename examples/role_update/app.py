"""A plain service: several updates, each a durable step, driven to the end whatever crashes."""

import restate_sdk
from directory import apply_permission, apply_user_role
from gen.role_update.v1.role_update_pb import ApplyRoleUpdateRequest, ApplyRoleUpdateResponse
from gen.role_update.v1.role_update_restate import RoleUpdateContext, RoleUpdateHandlers


class RoleUpdate(RoleUpdateHandlers):
    async def apply_role_update(
        self, ctx: RoleUpdateContext, request: ApplyRoleUpdateRequest
    ) -> ApplyRoleUpdateResponse:
        if not await ctx.run("apply role", apply_user_role, request.user_id, request.role):
            return ApplyRoleUpdateResponse(applied=False)
        for permission in request.permissions:
            await ctx.run(f"apply {permission}", apply_permission, request.user_id, permission)
        return ApplyRoleUpdateResponse(applied=True)


app = restate_sdk.Endpoint(RoleUpdate())

if __name__ == "__main__":
    app.serve()
