"""`chainrule.sklearn` beside scikit-learn's own MLP: quality, speed and memory with the same settings."""
