"""The main job, shown: agents work, telemetry arrives, something breaks, people are paged.

Every step is a check that can fail; the exit code says whether all were seen to work.
"""
