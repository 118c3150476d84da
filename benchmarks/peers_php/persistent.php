<?php
// As `conventional.php`, with a connection that outlives the request. PDO prepares the statements itself, as it does unless
// told otherwise: prepared by the database, each query takes two more trips, and the whole was slower.

declare(strict_types=1);

require __DIR__ . '/answer.php';
require __DIR__ . '/store.php';

$database = database([PDO::ATTR_PERSISTENT => true]);
answer(
    fn (string $hash): bool => known($database, $hash),
    fn (string $name): ?array => formula($database, $name),
);
