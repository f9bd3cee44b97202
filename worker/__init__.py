"""When things happen: pipeline, clocks, mailer, schedule, and the ``tower`` command."""
