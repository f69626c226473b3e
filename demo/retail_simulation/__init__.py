"""A retail simulation whose agents decide, talk, collide and resolve."""
