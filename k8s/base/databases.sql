-- labctl's own database is made by the image; this is the Hub's.
CREATE DATABASE hub;
