"""`trihull verify`: whether the evidence of an image holds."""
