"""AI models and providers behind small protocols, and the values that folders exchange.

Speech in and out, turn detection, language models: one protocol each, one actor that wears its
retry and breaker, one or more engines chosen by name in `config.toml`. The shared values (audio
frames, conversation, room events, channel capabilities) live here too. Imports `supervision` only.
"""
