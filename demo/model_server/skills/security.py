"""What the scripted model knows of security operations: the roles of the security agent."""

from __future__ import annotations

from model_server.skills.interface import Skill

SKILLS: tuple[Skill, ...] = ()
