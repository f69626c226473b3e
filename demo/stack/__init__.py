"""Midwatch's rendered charts, run as local processes under one supervisor.

What is tried here is what is installed on a cluster: `stack.translate` takes the objects that helm
renders and turns each pod into a process, `stack.supervisor` keeps the processes running,
`stack.sinks` receives what would go to Slack and by mail, and `python -m stack` is the door to all
of it.
"""
