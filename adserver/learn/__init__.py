"""From outcomes to a model: profiles, heads, calibration, evaluation."""
