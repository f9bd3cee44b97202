"""X12: from bytes to canonical events, each field with the bytes it came from.

tokens       bytes to segments, with the offset of every element
envelope     segments to transaction sets, tolerant of wrong counts, numbers and missing envelopes
ids          names of interchanges, groups and sets that an acknowledgement repeats
draft        an event in the making and the origin of its fields
reading      what is known while one set is read: parties, time, what was odd
orders, answers, shipments, receipts, invoices, acks   the meaning of one family of sets each
interpreter  all of it together
"""
