import './styles.js';
import { createTheme, MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.js';
import { Boundary } from './boundary.js';
import { Gate } from './gate.js';
import { SessionGate } from './session.js';

// Labels and buttons in the accent, whose contrast app.css keeps in both schemes.
const theme = createTheme({
  primaryColor: 'teal',
  primaryShade: { light: 9, dark: 7 },
  defaultRadius: 'md',
  fontFamily: 'var(--mantine-font-family)',
});

const client = new QueryClient({
  defaultOptions: { queries: { retry: 1, refetchOnWindowFocus: true, staleTime: 1_000 } },
});

const root = document.getElementById('root');
if (!root) throw new Error('the page has no #root');
createRoot(root).render(
  <StrictMode>
    {/* The variables stand in a file, and no style is made at run time: the page's policy allows neither. */}
    <MantineProvider
      theme={theme}
      defaultColorScheme="auto"
      withCssVariables={false}
      withGlobalClasses={false}
    >
      <QueryClientProvider client={client}>
        <Boundary>
          <SessionGate gate={(onSignedIn, error) => <Gate onSignedIn={onSignedIn} error={error} />}>
            <App />
          </SessionGate>
        </Boundary>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
