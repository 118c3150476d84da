<?php
// One request over HTTP: POST of arguments as JSON, with an API key. Where keys and formulas come from is handed in.

declare(strict_types=1);

require_once __DIR__ . '/formula.php';

// $known: whether the hash of a key is one of ours. $formula: the parsed formula of a name, or null.
function answer(callable $known, callable $formula): void
{
    [$status, $body] = answered($known, $formula);
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($body);
}

function answered(callable $known, callable $formula): array
{
    if (!$known(hash('sha256', $_SERVER['HTTP_X_API_KEY'] ?? ''))) {
        return [401, ['error' => 'the API key is not known']];
    }
    $found = $formula($_SERVER['FORMULA']);
    if ($found === null) {
        return [404, ['error' => 'there is no such formula']];
    }
    $arguments = json_decode(file_get_contents('php://input'), true);
    if (!is_array($arguments)) {
        return [400, ['error' => 'send a JSON object']];
    }
    try {
        $value = computed($found, $arguments);
    } catch (InvalidArgumentException | ArithmeticError $error) {
        return [422, ['error' => $error->getMessage()]];
    }
    $finite = is_finite($value);
    return [200, ['value' => $finite ? $value : null, 'finite' => $finite, 'formula' => $found['title']]];
}
