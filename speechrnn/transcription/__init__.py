"""From audio files to transcripts: reading, network and decoding at the same time."""
