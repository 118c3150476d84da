<?php
// As such APIs are usually written: each request connects, looks up the key, reads the formula's text, and parses it.

declare(strict_types=1);

require __DIR__ . '/answer.php';
require __DIR__ . '/store.php';

$database = database();
answer(
    fn (string $hash): bool => known($database, $hash),
    fn (string $name): ?array => formula($database, $name),
);
