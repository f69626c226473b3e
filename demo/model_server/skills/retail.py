"""What the scripted model knows of retail: the roles of the retail simulation's agents."""

from __future__ import annotations

from model_server.skills.interface import Skill

SKILLS: tuple[Skill, ...] = ()
