"""EDIFACT: from bytes to canonical events, each field with the bytes it came from.

tokens       bytes to segments, with the offset of every element and component
envelope     segments to messages, tolerant of wrong counts, references and missing envelopes
ids          names of interchanges, groups and messages that a CONTRL repeats
draft        an event in the making and the origin of its fields
reading      what is known while one message is read: parties, time, what was odd
articles     what several messages say alike: article, quantity, price, order, place
orders, answers, shipments, receipts, invoices, transport, acks   one family of messages each
interpreter  all of it together
"""
