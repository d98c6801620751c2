"""Updates a role through the runtime: `python client.py ada editor read write`."""

import asyncio
import os
import sys

import restate_client
from gen.role_update.v1.role_update_pb import ApplyRoleUpdateRequest
from gen.role_update.v1.role_update_restate import RoleUpdateClient

INGRESS = os.environ.get("RESTATE_INGRESS", "localhost:8080")


async def main(user_id: str, role: str, *permissions: str) -> None:
    update = ApplyRoleUpdateRequest(user_id=user_id, role=role, permissions=list(permissions))
    async with restate_client.connect(INGRESS) as restate:
        # The key makes it safe to run this again: the update is applied once, and the result is the same.
        reply = await RoleUpdateClient(restate).apply_role_update(update, idempotency_key=f"{user_id}-{role}")
    print("applied" if reply.applied else "refused")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
