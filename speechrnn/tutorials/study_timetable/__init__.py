"""A study timetable: memory across missed days."""

__all__: list[str] = []  # import its modules
