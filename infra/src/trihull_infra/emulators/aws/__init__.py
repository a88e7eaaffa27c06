"""The AWS types that are carried out for real, by moto: which they are, and what serves them."""
