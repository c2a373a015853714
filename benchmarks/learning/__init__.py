"""How well networks learn on many data sets with every option at its default."""
