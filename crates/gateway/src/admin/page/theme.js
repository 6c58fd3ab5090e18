// Light, dark, or as the system has it. Runs before anything is painted, so that nothing flashes.
const THEME_KEY = 'aqe-theme';
const chosen = () => {
    try { return localStorage.getItem(THEME_KEY); } catch { return null; }
};
const theme = chosen();
if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
