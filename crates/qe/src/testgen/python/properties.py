"""Properties that a function's name and type promise, kept if they hold for many inputs."""
