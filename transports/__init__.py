"""Wires to the world: one actor per connection or channel.

HTTP and WebSocket, telephone protocols, message channels such as SMS and e-mail, the drivers of
stores, the cluster engine, the web pages. A transport turns bytes into the values of `models` and
back; it knows nothing of rooms, agents or calls. Imports `models` (values) and `supervision`.
"""
