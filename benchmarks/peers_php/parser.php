<?php
// The text of a formula as a list of steps for a stack: numbers, names of variables, operators, and functions as `exp()`.

declare(strict_types=1);

final class Parser
{
    private array $tokens;
    private int $at = 0;
    private array $steps = [];

    public static function steps(string $text): array
    {
        $parser = new self($text);
        $parser->sum();
        if ($parser->at < count($parser->tokens)) {
            throw new InvalidArgumentException("`{$parser->next()}` is not expected here");
        }
        return $parser->steps;
    }

    private function __construct(string $text)
    {
        preg_match_all('~\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\*\*|[-+*/(),]|\S~', $text, $found);
        $this->tokens = $found[0];
    }

    private function sum(): void
    {
        $this->product();
        while (($operator = $this->taken('+', '-')) !== null) {
            $this->product();
            $this->steps[] = $operator;
        }
    }

    private function product(): void
    {
        $this->negation();
        while (($operator = $this->taken('*', '/')) !== null) {
            $this->negation();
            $this->steps[] = $operator;
        }
    }

    private function negation(): void
    {
        if ($this->taken('-') === null) {
            $this->power();
            return;
        }
        $this->negation();
        $this->steps[] = 'minus()';
    }

    private function power(): void
    {
        $this->atom();
        if ($this->taken('**') !== null) {
            $this->negation();
            $this->steps[] = '**';
        }
    }

    private function atom(): void
    {
        $token = $this->next();
        if (is_numeric($token)) {
            $this->steps[] = (float) $token;
        } elseif ($token === '(') {
            $this->sum();
            $this->expect(')');
        } elseif ($this->taken('(') !== null) {
            do {
                $this->sum();
            } while ($this->taken(',') !== null);
            $this->expect(')');
            $this->steps[] = "$token()";
        } else {
            $this->steps[] = $token;
        }
    }

    private function taken(string ...$wanted): ?string
    {
        $token = $this->tokens[$this->at] ?? null;
        return in_array($token, $wanted, true) ? $this->tokens[$this->at++] : null;
    }

    private function expect(string $wanted): void
    {
        if ($this->taken($wanted) === null) {
            throw new InvalidArgumentException("`$wanted` is missing");
        }
    }

    private function next(): string
    {
        return $this->tokens[$this->at++] ?? throw new InvalidArgumentException('the text ends too early');
    }
}
