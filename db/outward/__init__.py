"""How answers leave the house: documented views, and the rows of files and of the machine door."""
