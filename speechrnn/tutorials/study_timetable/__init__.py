"""A study timetable: memory across missed days."""
