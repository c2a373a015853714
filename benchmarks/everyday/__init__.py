"""Tables as people have them: trained on by the command line with its defaults, beside scikit-learn."""
