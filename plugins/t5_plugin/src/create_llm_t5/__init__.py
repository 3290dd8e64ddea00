"""An encoder-decoder transformer in the T5 form."""
