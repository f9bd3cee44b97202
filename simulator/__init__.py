"""A pretend regional distributor: it emits what the sources of a real one would emit.

Purchase orders, answers, shipments, receipts and customer orders of ninety days in the sources' own
formats, with planted faults and a known truth. It imports no room of the tower: if it shared the
tower's parsers or calendars, a mistake in them would cancel itself out.
"""
