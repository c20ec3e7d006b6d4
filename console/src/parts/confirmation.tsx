import { Button, PasswordInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { confirmSession, signInAtProvider, useProvider, useSession } from '../session.js';
import { explain } from './bits.js';

/** The field of a form whose act wants a fresh sign-in, and nothing while the sign-in is fresh. */
export function useConfirmation(): {
  readonly field: ReactNode;
  readonly isReady: boolean;
  confirm(): Promise<void>;
} {
  const session = useSession();
  const [token, setToken] = useState('');
  const hasProvider = useProvider();
  const provider = useMutation({ mutationFn: () => signInAtProvider({ again: true }) });
  const isNeeded = Date.parse(session.confirmedUntil ?? '') < Date.now();
  return {
    field: isNeeded ? (
      <>
        <PasswordInput
          label="Your token, once more"
          description="The sign-in is some minutes old."
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          autoComplete="off"
          required
          visibilityToggleButtonProps={{ 'aria-label': 'Show the token' }}
        />
        {hasProvider ? (
          <Button variant="default" onClick={() => provider.mutate()} loading={provider.isPending}>
            Or sign in again with your identity provider
          </Button>
        ) : null}
        {provider.error ? (
          <p className="note bad" role="alert">
            {explain(provider.error)}
          </p>
        ) : null}
      </>
    ) : null,
    isReady: !isNeeded || token.trim() !== '',
    async confirm() {
      if (isNeeded) await confirmSession(token.trim());
    },
  };
}
