import { BursarError } from '@bursar/sdk';
import { Button, PasswordInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import icon from './icon.svg';
import { explain } from './parts/bits.js';
import { useParam, useTitle } from './router.js';
import { signIn, signInAtProvider, useProvider } from './session.js';

/** Words for a login at the provider that failed, by its code. */
const FAILED: Readonly<Record<string, string>> = {
  forbidden:
    'The login was refused, took too long, or names no role here. Ask an operator: the log of the service has the reason.',
  invalid_token:
    'The identity provider gave a token that is not for this service. The log of the service has the reason.',
  unavailable: 'The identity provider does not answer. Try again.',
};

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
  const hasProvider = useProvider();
  const provider = useMutation({ mutationFn: () => signInAtProvider() });
  const [failed] = useParam('login');
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
          {failed === '' ? null : (
            <p className="note bad" role="alert">
              {FAILED[failed] ?? 'The login failed. The log of the service has the reason.'}
            </p>
          )}
          {hasProvider ? (
            <>
              <Button onClick={() => provider.mutate()} loading={provider.isPending}>
                Sign in with your identity provider
              </Button>
              {provider.error ? (
                <p className="note bad" role="alert">
                  {explain(provider.error)}
                </p>
              ) : null}
              <p className="soft">Or with a token:</p>
            </>
          ) : null}
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
