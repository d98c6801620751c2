"""The second half of the demo: processes are killed with -9, every invocation is finished, and the trace shows how.

Nothing is killed before the journal says that the invocation is where the story has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .checks import Json, check_effects, check_finished, check_kept, check_trace, expect, recorded, under_way
from .processes import Process
from .system import Evidence, System
from .terminal import say, show

REMINDER = {"id": "tea", "text": "the tea is ready", "after": "10s"}
REMINDED = ["note tea the tea is ready", "deliver tea the tea is ready"]
REMIND = ("python", "client.py", "tea", "the tea is ready", "10")
SLEEPS = ["sleep until it is due"]

UPDATE = ("python", "client.py", "ada", "editor", "read", "write", "delete")
UPDATED = ["role ada editor", "permission ada read", "permission ada write", "permission ada delete"]
STUCK = "permission ada write"
STEP = ["run apply write"]
BEFORE = ["run apply role", "run apply read"]

COUNTED = """\
8. Both were finished. What was done to the world was done once. Only the step that was under way when its service was
   killed was done again, because nobody knew that it had worked. This is why steps are idempotent."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An invocation, and its journal as it was when something was killed."""

    id: str
    journal: Sequence[Json]


def kill_the_runtime(system: System, runtime: Process) -> Interrupted:
    """Kills the runtime while a reminder sleeps, and starts it again."""
    say("5. A durable sleep. Ask for a reminder, and kill the runtime while it sleeps.")
    id = system.send("reminder", "reminder.v1.Reminder/Remind", REMINDER)
    journal = system.until("the reminder sleeps", lambda: system.journal(id), lambda seen: under_way(seen) == SLEEPS)
    show(f"recorded: {', '.join(recorded(journal))}; under way: {', '.join(under_way(journal))}")
    runtime.kill()
    expect("effects when the runtime was killed", system.place.effects("reminder"), REMINDED[:1])
    system.start_runtime()
    show("The reminder sleeps on. Meanwhile:")
    return Interrupted(id, journal)


def kill_the_service(system: System, app: Process) -> Interrupted:
    """Kills a service in the third of four steps, and starts it again; the caller waits and notices nothing.

    Args:
        app: the service; its step STUCK does not end.
    """
    say("6. Four steps: a role and three permissions. The third gets stuck; kill the service in the middle of it.")
    call = system.place.start("role_update", *UPDATE)
    id = system.invocation("role_update.v1.RoleUpdate")
    journal = system.until("the third step is under way", lambda: system.journal(id), lambda s: under_way(s) == STEP)
    expect("recorded steps", recorded(journal), BEFORE)
    show(f"recorded: {', '.join(recorded(journal))}; under way: {', '.join(STEP)}")
    expect("the call goes on when the service is killed", call.goes_on(), True)
    app.kill()
    system.app_is_ready("role_update", system.start_app("role_update"))
    show("The call that was waiting all the time returns:")
    answer = call.finish()
    show(answer)
    expect("the answer", answer, "applied\n")
    return Interrupted(id, journal)


def wait_for_the_reminder(system: System) -> None:
    say("7. The reminder again, by its id: this is not a second one. Wait for the first.")
    accepted, message = system.place.run("reminder", *REMIND).splitlines()
    expect("what the runtime did with it", accepted.split()[0], "PREVIOUSLY_ACCEPTED")
    expect("the reminder", message, "Do not forget: the tea is ready")


def count(system: System) -> None:
    """Shows that no recorded step ran again."""
    say(COUNTED)
    times = check_effects(system.place.effects("reminder"), REMINDED)
    times += check_effects(system.place.effects("role_update"), UPDATED, killed_in=STUCK)
    for effect, number in times.items():
        show(f"{number} x  {effect}{'   <- under way when killed' if effect == STUCK else ''}")


def check_survived(before: Interrupted, after: Evidence) -> None:
    """That an invocation was finished, and that what was recorded before the crash was not touched."""
    check_finished(after.invocation)
    check_kept(before.journal, after.journal)


def trace(system: System, shown: str, all_of_them: Sequence[Evidence]) -> None:
    """Prints one trace, and checks this and others for a span of every attempt and every step."""
    say("9. The trace, derived from the journal: a span for every attempt and every step.")
    system.place.run("", "restate-cli", "invocations", "trace", shown)
    for one in all_of_them:
        check_trace(one.spans, one.journal, one.invocation["epoch"])
