"""What things mean: the nouns, codes, calendars and decisions of the control tower.

Pure: no I/O, no clock of its own, no SQL, no pandas, no Streamlit.
"""
