from hypothesis import HealthCheck, settings

# Machines are shared and slow at times: no test may depend on how long an example takes.
settings.register_profile(
    "schedplan", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.load_profile("schedplan")
