import { PasswordInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { confirmSession, useSession } from '../session.js';

/** The field of a form whose act wants a fresh sign-in, and nothing while the sign-in is fresh. */
export function useConfirmation(): {
  readonly field: ReactNode;
  readonly isReady: boolean;
  confirm(): Promise<void>;
} {
  const session = useSession();
  const [token, setToken] = useState('');
  const isNeeded = Date.parse(session.confirmedUntil ?? '') < Date.now();
  return {
    field: isNeeded ? (
      <PasswordInput
        label="Your token, once more"
        description="The sign-in is some minutes old."
        value={token}
        onChange={(event) => setToken(event.currentTarget.value)}
        autoComplete="off"
        required
        visibilityToggleButtonProps={{ 'aria-label': 'Show the token' }}
      />
    ) : null,
    isReady: !isNeeded || token.trim() !== '',
    async confirm() {
      if (isNeeded) await confirmSession(token.trim());
    },
  };
}
