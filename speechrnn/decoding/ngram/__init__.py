"""N-gram language models: ARPA and KenLM files, Kneser-Ney estimation."""
