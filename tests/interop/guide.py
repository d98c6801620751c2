"""The parts of docs/guides/clients.md as a test can run them: one for each client, of files and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "clients.md"

_CLIENT = re.compile(r"<details name=\"client\"[^>]*>\n<summary><b>([^<]+)</b></summary>\n(.*?)\n</details>", re.DOTALL)
_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    name: str
    text: str


@dataclass
class Command:
    """A command that the reader types, and what it prints; `…` stands for anything."""

    line: str
    prints: list[str] = field(default_factory=list)

    def shows(self, output: str) -> bool:
        """Whether the output is what the guide shows, but for blanks at the ends of lines."""
        parts = [re.escape(part) for part in "\n".join(self.prints).split("…")]
        seen = "\n".join(line.rstrip() for line in output.strip().splitlines())
        return re.fullmatch(".*".join(parts), seen, re.DOTALL) is not None


def steps(text: str) -> list[File | Command]:
    """The files and commands of a piece of the guide, in their order."""
    found: list[File | Command] = []
    for language, name, body in _FENCE.findall(text):
        if language != "console":
            assert name, f"a block of {language} has no file name"
            found.append(File(name, body))
            continue
        for line in body.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:]))
            else:
                last = found[-1]
                assert isinstance(last, Command)
                last.prints.append(line)
    return found


def clients() -> dict[str, list[File | Command]]:
    """What each client's part says to do. What comes before the parts is for all of them."""
    text = GUIDE.read_text()
    first = steps(text[: text.index("<details")])
    return {name: [*first, *steps(part)] for name, part in _CLIENT.findall(text)}
