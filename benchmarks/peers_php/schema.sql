-- What the API keeps: who may call, and formulas as text. `parts` is a list of [name, text], `parameters` an object by name.
CREATE DATABASE formulas;
CREATE USER api@localhost IDENTIFIED BY 'api';
GRANT SELECT ON formulas.* TO api@localhost;
USE formulas;
CREATE TABLE api_keys (hash CHAR(64) PRIMARY KEY);
CREATE TABLE formulas (
  name VARCHAR(64) PRIMARY KEY,
  title VARCHAR(80) NOT NULL,
  expression TEXT NOT NULL,
  parts TEXT NOT NULL,
  parameters TEXT NOT NULL
);
