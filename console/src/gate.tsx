import { BursarError } from '@bursar/sdk';
import { Button, PasswordInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import icon from './icon.svg';
import { explain } from './parts/bits.js';
import { useTitle } from './router.js';
import { signIn } from './session.js';

/** Sign-in: a token is shown once and becomes a cookie. */
export function Gate({ onSignedIn, error }: { onSignedIn: () => void; error: unknown }) {
  const [token, setToken] = useState('');
  const {
    mutate,
    isPending,
    error: refused,
  } = useMutation({
    mutationFn: signIn,
    onSuccess: () => {
      setToken('');
      onSignedIn();
    },
  });
  useTitle('Sign in');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate(token.trim());
  };
  const isDown = error instanceof BursarError && error.status !== 401;
  return (
    <main className="gate">
      <div className="card">
        <form className="form" onSubmit={submit}>
          <div className="brand">
            <img src={icon} alt="" />
            Bursar
          </div>
          <h1>Sign in</h1>
          <PasswordInput
            label="Token"
            description="An admin token, a sign-in of your identity provider, or the token of a grant. A grant’s token shows that grant and all below it."
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            required
            data-autofocus
            visibilityToggleButtonProps={{ 'aria-label': 'Show the token' }}
          />
          {refused ? (
            <p className="note bad" role="alert">
              {explain(refused)}
            </p>
          ) : null}
          {isDown ? (
            <p className="note warn" role="alert">
              {explain(error)}
            </p>
          ) : null}
          <Button type="submit" loading={isPending} disabled={token.trim() === ''}>
            Sign in
          </Button>
          <p className="soft">
            An operator mints an admin token with <code>npx bursar admin-token</code>. The token is
            kept in no storage of this browser.
          </p>
        </form>
      </div>
    </main>
  );
}
