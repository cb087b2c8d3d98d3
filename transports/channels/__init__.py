"""Message channels: wires by which people take part in rooms; `kit.py` makes them."""
