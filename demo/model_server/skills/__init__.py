"""The registry of skills: one module per application, the generic answer last."""

from __future__ import annotations

from model_server.skills import retail, security
from model_server.skills.generic import GenericSkill
from model_server.skills.interface import (
    Message,
    ModelRequest,
    Reply,
    Skill,
    Tool,
    ToolCall,
    UsageOverride,
)

__all__ = [
    "Message",
    "ModelRequest",
    "Reply",
    "Skill",
    "Tool",
    "ToolCall",
    "UsageOverride",
    "find_skill",
    "registered_skills",
]

_GENERIC = GenericSkill()


def registered_skills() -> tuple[Skill, ...]:
    """All skills in the order in which they are asked; the last one always matches."""
    return (*security.SKILLS, *retail.SKILLS, _GENERIC)


def find_skill(request: ModelRequest) -> Skill:
    """The first skill that recognises the request."""
    return next(skill for skill in registered_skills() if skill.matches(request))
