"""The answer to a prompt that no application's skill recognises."""

from __future__ import annotations

from random import Random

from model_server.skills.interface import ModelRequest, Reply, ToolCall
from model_server.skills.schema import example_of, example_text

_OPENINGS = (
    "Here is a short answer",
    "In brief",
    "To answer your question",
)


class GenericSkill:
    """Answers anything: calls a tool it must call, fills a schema it must fill, else talks."""

    @property
    def name(self) -> str:
        """The name for fault filters and the control state."""
        return "generic"

    def matches(self, request: ModelRequest) -> bool:
        """Every request: this skill is asked last."""
        return True

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """Do what the request insists on; a plain question gets a plain sentence."""
        if request.required_tool and request.tools and not request.tool_results():
            wanted = next((t for t in request.tools if t.name == request.required_tool), None)
            tool = wanted or request.tools[0]
            arguments = example_of(tool.parameters, random)
            return Reply(
                tool_calls=(ToolCall(tool.name, arguments if isinstance(arguments, dict) else {}),)
            )
        if request.json_schema is not None:
            return Reply(text=example_text(request.json_schema, random))
        topic = " ".join(request.last_user_text.split())[:120] or "your request"
        if request.json_object:
            return Reply(text=example_text({"type": "object"}, random))
        return Reply(
            text=f"{random.choice(_OPENINGS)}: about \u201c{topic}\u201d I can only say what is in"
            " the conversation. Tell me more about the goal and I will work through it with you."
        )
