<?php
// The database: API keys, and formulas as rows of text.

declare(strict_types=1);

require_once __DIR__ . '/formula.php';

function database(array $options = []): PDO
{
    $source = 'mysql:unix_socket=' . getenv('DATABASE_SOCKET') . ';dbname=formulas;charset=utf8mb4';
    return new PDO($source, 'api', 'api', $options);
}

function known(PDO $database, string $hash): bool
{
    $query = $database->prepare('SELECT 1 FROM api_keys WHERE hash = ?');
    $query->execute([$hash]);
    return $query->fetchColumn() !== false;
}

function formula(PDO $database, string $name): ?array
{
    $query = $database->prepare('SELECT title, expression, parts, parameters FROM formulas WHERE name = ?');
    $query->execute([$name]);
    $row = $query->fetch(PDO::FETCH_ASSOC);
    return $row === false ? null : parsed($row);
}
