"""An encoder in the BERT form, and the verb that fills gaps with it."""
