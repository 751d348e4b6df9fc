"""Everything that depends on kazoo's inside: its private names, repairs of its defects, and faster replacements."""
